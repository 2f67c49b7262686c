"""rkmp's IKE SAs and strongSwan's charon, each in both roles, over UDP in a network of their own.

charon knows nothing of RKMP: it opens and answers IKE SAs, and refuses children whose protocol it does not know. That
makes it a judge of everything that RKMP takes over from IKEv2.
"""
