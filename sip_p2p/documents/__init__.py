"""What the bodies of events and messages say: presence, dialogs, messages waiting, parts of messages; values only.

Typed values that are read from octets, written as octets, and know nothing of the network, of time or of who sent
them. XML that a peer wrote is read in one place, :mod:`~sip_p2p.documents.xml`, with neither document types nor
entities, and within bounds. The package imports :mod:`sip_p2p.errors` and :mod:`sip_p2p.sip`, and nothing else of the
project.

Each module has its value with two methods: ``parse(octets)``, which raises
:class:`~sip_p2p.errors.MalformedDocument`, and ``to_bytes()``; and its ``MEDIA_TYPE``.

=====================  ============================================================  =================================
module                 what                                                          standard
=====================  ============================================================  =================================
``xml``                elements with namespaces, read within bounds, and written     XML 1.0, Namespaces in XML
``cpim``               a message with its own From, To and date around a body        RFC 3862
``imdn``               delivery reports, and which of them are wanted                RFC 5438
``is_composing``       that somebody is writing, and when that is true               RFC 3994
``pidf``               presence: tuples, persons and devices, and what they do       RFC 3863, RFC 4479, RFC 4480
``dialog_info``        the dialogs of somebody, whole or only what changed           RFC 4235
``message_summary``    how many messages wait                                        RFC 3842
``sipfrag``            a part of a SIP message                                       RFC 3420
``timestamps``         instants, as most of these write them                         RFC 3339 section 5.6
=====================  ============================================================  =================================
"""
