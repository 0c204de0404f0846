"""The server: the contract's routes over HTTP and WebSocket, mounted in Jupyter Server and stand-alone.

It reads the store and never the training process; ``app`` is the only module that wires. ``extension`` is what Jupyter
loads, ``standalone.serve`` what the command line calls.
"""
