"""The ``rkmp`` command: an operator's NETCONF client for one agent, and the demonstration of the main job.

It speaks to the agent as any other NETCONF client would, through ncclient, and knows the agent only by its YANG
modules: whatever this command does, an automation can do as well.
"""
