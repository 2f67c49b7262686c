"""The cryptography of RKMP: PRFs, key exchange, the protection and authentication of an IKE SA, and TCP-AO.

``cryptography`` is the only source of primitives. Whatever an outsider can send raises
:class:`~rkmp.errors.CryptoError`; secrets travel as :class:`~rkmp.secret.Secret`. No state but the keyed contexts of a
:class:`~rkmp.crypto.protection.Protector`.

Algorithms are rows of tables by IANA's numbers, with the name that an operator knows them by: ``prf.PRFS``,
``ciphers.ENCRYPTIONS`` and ``ciphers.INTEGRITIES``, ``key_exchange.KEY_EXCHANGES``.
"""
