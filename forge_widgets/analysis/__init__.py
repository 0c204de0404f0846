"""What was recorded, used: rows as a data frame, sessions as a list, and exports.

Reads stores and nothing else: neither training nor a server has to be there. Notebooks and the command line call it.
"""
