"""SIP itself: bytes and values in, bytes and values out.

No socket, no clock, no randomness, no logging, no Twisted. Time is an argument (``now``, seconds on any monotonic
scale), tokens come from a :class:`~sip_p2p.sip.tokens.TokenSource` that is passed in, and what should happen comes back
as the outputs of :mod:`sip_p2p.sip.outputs`. The package imports :mod:`sip_p2p.errors` and nothing else of the project;
a test holds it to that.

Start with :mod:`~sip_p2p.sip.outputs` (what can happen), then :mod:`~sip_p2p.sip.transaction.non_invite_client` beside
Figure 6 of RFC 3261, then :mod:`~sip_p2p.sip.user_agent`.

========================  ======================================  =====================================================
module                    what                                    standard
========================  ======================================  =====================================================
``abnf``, ``host``        the grammar's terminals                 RFC 3261 section 25, RFC 5954
``uri``, ``tel``          ``sip:``, ``sips:``, ``tel:``           RFC 3261 section 19.1, RFC 3966
``escaping``              percent escapes in URIs                 RFC 3261 section 19.1.2
``headers``, ``fields``   header fields, raw and typed            RFC 3261 sections 7.3 and 20
``via``, ``name_addr``    Via; From, To, Contact, Route           RFC 3261 section 20, RFC 3581, RFC 5118
``params``                parameters of header fields             RFC 3261 section 7.3.1
``accept``, ``dates``     Accept and its kin; Date                RFC 3261 sections 20.1 to 20.3, 20.17
``diagnostics``           Warning, Reason                         RFC 3261 section 20.43, RFC 3326
``auth``                  challenges and credentials, unjudged    RFC 3261 sections 20.7 and 20.44
``digest``                what they mean where they are digests   RFC 3261 section 22, RFC 7616, RFC 8760
``identity``              the field of a signed identity          RFC 8224 section 4
``passport``              what is signed                          RFC 8225
``privacy``               who is hidden, and who is asserted      RFC 3323, RFC 3325
``status``                names and phrases of statuses           RFC 3261 section 21, IANA
``routing``               loose and strict routing by a UA        RFC 3261 section 12.2.1.1
``message``, ``parse``    requests and responses                  RFC 3261 section 7, RFC 4475
``framing``               messages out of a byte stream           RFC 3261 section 18.3, RFC 5626 section 4.4.1
``body``, ``multipart``   types, charsets; several parts          RFC 5621, RFC 2046
``limits``                how large a message may be
``compose``               requests and responses of ours          RFC 3261 sections 8.1.1 and 8.2.6
``source``                what a hop writes into the top Via      RFC 3261 section 18.2.1, RFC 3581
``flow``                  what SIP needs to know of a flow        RFC 5626 section 2
``overload``              Via's wishes for less, whom to spare    RFC 7339
``shedding``              what is done without, judged early      RFC 7339 section 5.10
``transaction``           the four machines and their layer       RFC 3261 section 17, RFC 6026, RFC 4320
``user_agent``            the rules for a UAC and a UAS           RFC 3261 section 8
``uas_rules``             what a UAS looks at, in its order       RFC 3261 sections 8.2 and 12.2.2
``dialog``                dialogs, and what INVITE makes of them  RFC 3261 sections 9 and 12 to 15
``event``                 subscriptions and publications          RFC 6665, RFC 3903
``readings``              readings of a message for these rules   RFC 3261 section 8
``profile``               what a party can do                     RFC 3261 sections 8.2.1 to 8.2.3
``preferences``           features, and whom a caller would like  RFC 3840, RFC 3841
``directory``             whose request it is                     RFC 3261 section 8.2.2.1
``outputs``               everything that the core can say
``counters``              what it has seen and done, in figures
``schedule``              one time for each of many keys
``tokens``                where unguessable tokens come from
========================  ======================================  =====================================================
"""
