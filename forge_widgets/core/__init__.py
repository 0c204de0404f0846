"""The pure heart: what a session is and what a viewer gets to see of it.

No clock, no files, no sockets, no asyncio, no Jupyter: time, ids and randomness come in as arguments.
Stores, training, server and widgets call it; it calls nobody.
"""
