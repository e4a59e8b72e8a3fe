"""Find faces, text, codes and what custom models know.

`models` lists what can be found here without loading anything; `find` loads a model when it is first asked for.
"""

import os

# Before anything imports onnxruntime: from its import on, it would report to its maker, and keep a file in the
# temporary folder for that.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
