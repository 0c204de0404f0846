"""The notebook side: widgets that show a session, and how they follow it through the kernel where no server can.

Reads stores, never writes steps; must not import the server, and needs training for nothing. The public API loads it.
"""
