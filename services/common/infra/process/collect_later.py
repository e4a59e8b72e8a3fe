"""Imported first by fork servers: nothing that they load is garbage, and to look for it takes a sixth of the time.

The last module that they load enables collections again, for their forks.
"""

import gc

gc.disable()
