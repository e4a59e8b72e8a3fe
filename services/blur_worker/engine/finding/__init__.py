"""Find faces, text, codes and what custom models know.

`models` lists what can be found here without loading anything; `find` loads a model when it is first asked for.
"""
