"""English sentences by the million, for rendered speech that is only there to be ignored."""

NAMES = (
    "Anna Ben Clara David Emma Frank Grace Henry Ida Jack Kate Leo Mary Noah Olive Peter Rose Sam Tina Victor Wendy Zoe".split()
)
PEOPLE = (
    "my brother|our neighbour|the old teacher|her daughter|the doctor|a young farmer|the driver|his uncle|the whole family|"
    "their manager|the children|a stranger|the captain|my best friend|the shopkeeper|two students|the nurse|the gardener"
).split("|")
VERBS = (
    "bought|carried|found|forgot|painted|repaired|dropped|borrowed|noticed|sold|cleaned|hid|opened|moved|described|"
    "washed|measured|counted|remembered|wanted|burned|followed|collected|ordered|missed|cut|lifted|shared"
).split("|")
ADJECTIVES = (
    "red|heavy|broken|quiet|beautiful|wooden|cheap|narrow|yellow|famous|muddy|ancient|plastic|tiny|enormous|warm|"
    "frozen|purple|empty|useful|strange|square|golden|dusty|modern|bitter"
).split("|")
THINGS = (
    "bicycle|kitchen table|umbrella|letter|basket of apples|mirror|guitar|blanket|camera|piece of paper|bottle of water|"
    "jacket|newspaper|ladder|suitcase|cup of coffee|picture|hammer|birthday cake|map of the city|pair of shoes|lamp|ticket|"
    "telephone|pumpkin|cushion|pewter mug|compass|scooter|commuter train|recorder|tomato|parachute|violin"
).split("|")
PLACES = (
    "in the garden|behind the station|near the river|at the market|on the second floor|under the bridge|in a small village|"
    "beside the road|at the office|in the mountains|across the street|by the window|in the middle of the field|at school|"
    "outside the museum|on the beach|at the corner|in the dark cellar"
).split("|")
TIMES = (
    "yesterday|last week|early in the morning|on Thursday|before breakfast|in nineteen eighty five|after the meeting|"
    "a few minutes ago|late at night|during the summer|at half past seven|every single day|once upon a time|on the fourth of July|"
    "when it started to rain|just before the concert"
).split("|")
ASIDES = (
    "I think|as far as we know|to be honest|of course|believe it or not|for some reason|in my opinion|unfortunately|"
    "as usual|without a doubt|they say|in the end|it seems|at least|by the way|frankly"
).split("|")
NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve thirteen twenty thirty forty fifty ninety hundred".split()
QUESTIONS = (
    "where did {p} put the {t}|why has {n} never seen the {a} {t}|do you know who {v} the {t} {l}|"
    "when will {p} come back {l}|how many of them {v} a {t} {w}|could you bring me the {a} {t} please"
).split("|")
STATEMENTS = (
    "{p} {v} the {a} {t} {l} {w}|{w} {n} {v} a {t} {l}|{i}, {p} {v} {x} of them {w}|the {t} that {n} {v} was {a} and {b}|"
    "there is a {a} {t} {l}, {i}|{n} and {p} {v} the {t}, but not the {b} {u}|turn the {t} {x} times and wait {l}|"
    "the number is {x} {y} {z} {x}|{n} said that {p} {v} everything {l}|nobody {v} the {u} {w}"
).split("|")


def sentence(draw):
    """One sentence. draw: a tflite.runtime.randomness Stream."""
    pattern = draw.choice(QUESTIONS if draw.chance(0.2) else STATEMENTS)
    words = {
        "p": PEOPLE,
        "n": NAMES,
        "v": VERBS,
        "a": ADJECTIVES,
        "b": ADJECTIVES,
        "t": THINGS,
        "u": THINGS,
        "l": PLACES,
        "w": TIMES,
        "i": ASIDES,
        "x": NUMBERS,
        "y": NUMBERS,
        "z": NUMBERS,
    }
    return pattern.format(**{key: draw.choice(choices) for key, choices in words.items() if "{" + key + "}" in pattern})
