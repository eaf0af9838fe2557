"""Sequence Zoo: the sequence models of the classic course notes as Keras 3 builders.

```python
import zoo

print(zoo.list_models())
model = zoo.build("tcn_trigger_word", num_mels=40)   # an uncompiled keras.Model
model = zoo.load("names")                            # a trained preset
```

Importing this package does not load Keras; the first `build` or `load` does.
"""

from zoo.errors import InputError
from zoo.presets import load
from zoo.registry import build, describe, list_models

__version__ = "0.1.0"
__all__ = ["InputError", "build", "describe", "list_models", "load"]
