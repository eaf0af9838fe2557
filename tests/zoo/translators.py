"""The zoo's models from text to text, by a name for each example."""

import zoo

TRANSLATORS = {
    entry.name + str(place): (entry.name, arguments)
    for entry in zoo.list_models()
    if entry.task == "translation"
    for place, arguments in enumerate((entry.example, *entry.variants))
}
