"""Imported first by programs that load much: none of it is garbage, and to look for it takes a sixth of the time.

They enable collections again themselves: fork servers by the last module that they load, for their forks.
"""

import gc

gc.disable()
