"""The cryptography of RKMP: PRFs, key exchange, the protection and authentication of an IKE SA, and TCP-AO.

``cryptography`` is the only source of primitives. Whatever an outsider can send raises
:class:`~rkmp.errors.CryptoError`; secrets travel as :class:`~rkmp.secret.Secret`. No state but the keyed contexts of a
:class:`~rkmp.crypto.protection.Protector` and what a :class:`~rkmp.crypto.certificate_paths.VerifiedChains` remembers.

Algorithms are rows of tables by IANA's numbers, with the name that an operator knows them by: ``prf.PRFS``,
``ciphers.ENCRYPTIONS`` and ``ciphers.INTEGRITIES``, ``key_exchange.KEY_EXCHANGES``,
``signature_schemes.SIGNATURE_SCHEMES``.

Who signs AUTH with a key goes from :mod:`~rkmp.crypto.credentials` (ours) to :mod:`~rkmp.crypto.signatures`; whose
signature is verified comes to there from :mod:`~rkmp.crypto.certificate_paths`, by a certificate, or from
:mod:`~rkmp.crypto.signature_keys`, by a key that is known as it is.
"""
