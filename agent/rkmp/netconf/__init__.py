"""The NETCONF server: SSH transport, framing, sessions, the operations of RFC 6241, event streams.

Generic over YANG modules: nothing here knows RKMP.
"""
