"""The datastores: YANG-modelled data as lxml trees, with their schema, edits, validation and persistence.

Generic over modules: nothing here knows RKMP or NETCONF messages. Time and randomness come in as arguments.
"""
