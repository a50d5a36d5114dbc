"""The setting with which commands load grpc, for a process that loads everything before it becomes a server.

Importing this module sets it there and then. Setting it in the tests' own process and taking it back has crashed that:
grpc reads the environment in threads of its own, which must not be changed meanwhile.
"""

import os

os.environ["GRPC_VERBOSITY"] = "NONE"
