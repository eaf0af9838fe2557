"""The table of tasks; importing it loads no TensorFlow."""

from apps.language_model.config import TASK as LANGUAGE_MODEL
from apps.speech_recognition.config import TASK as SPEECH_RECOGNITION
from apps.translation.config import TASK as TRANSLATION
from apps.trigger_word.config import TASK as TRIGGER_WORD

TASKS = {task.name: task for task in (TRIGGER_WORD, SPEECH_RECOGNITION, LANGUAGE_MODEL, TRANSLATION)}
