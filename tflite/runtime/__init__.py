"""Runs device folders: numpy and a TFLite interpreter, nothing else."""

from .detector import Detection, Detector
from .errors import InputError
from .firing import Firing, WordRule
from .front_end import FrontEnd
from .recognizer import Recognizer
from .sampling import Generator
from .translator import Translator

__all__ = ["Detection", "Detector", "Firing", "FrontEnd", "Generator", "InputError", "Recognizer", "Translator", "WordRule"]
