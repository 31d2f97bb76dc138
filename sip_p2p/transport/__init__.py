"""SIP on Twisted: sockets, TLS, names, the clock.

What lives here turns connections and datagrams into flows, and what the core of :mod:`sip_p2p.sip` says into bytes on
them. It imports :mod:`sip_p2p.errors` and :mod:`sip_p2p.sip`, and nothing of the endpoint above it; a test holds it to
that.

Start with :mod:`~sip_p2p.transport.driver`, the only place where both worlds are visible, then
:mod:`~sip_p2p.transport.stream` for the life of a connection, then :mod:`~sip_p2p.transport.tls` for what comes before
its first byte, then :mod:`~sip_p2p.transport.pool` for which connection a request takes.

The modules by what they change with:

========================  ================================================================  ======================
module                    what                                                              standard
========================  ================================================================  ======================
**What everything uses**
``driver``                feeds the core, drains its outputs, keeps its one delayed call    RFC 3261 section 17
``clock``                 a monotonic time, and alarms on it
``deadlines``             many times of few lengths
``alarms``                times of any length, one a key
``random_tokens``         tokens from the operating system
``flow``                  one path to one peer                                              RFC 3261 section 18
``keeper``                the flows of one side: their bounds, deadlines and ends
``keep_alive``            CRLF and STUN, and the agreement about them                       RFC 5626, RFC 6223
``target``                from a URI to where it leads, and to the name to be proved there  RFC 3263, RFC 5630
``proxy``                 the first hop, where there is one                                 RFC 3261 section 8.1.2
``limits``                every bound, by name
``throttle``              how often something is said in the log
**Who a peer is**
``trust``                 by what it is known, and stacks of that
``credential``            certificates and keys from files: ours, and those of authorities  RFC 5280
``identity``              the names that a certificate proves, and those that are welcome   RFC 5922
``certificate_facts``     what a certificate says by itself                                 RFC 5280, RFC 9325
``key_usage``             what it must be meant for                                         RFC 5924
``pins``                  keys that are known beforehand                                    RFC 7469
``first_use``             keys that were seen before
``known_keys``            the file that they are kept in
``revocation``            lists of what has been taken back                                 RFC 5280 section 6.3
``ocsp``                  what an authority says of a certificate today                     RFC 6960, RFC 7633
``issuers``               who stood above a peer when it was verified
``chain_rule``            the whole chain, also when a session is resumed
``tls_verify``            the judgement, passed twice
``tls_failure``           what went wrong, in our terms                                     RFC 8446 section 6
**TLS**
``tls``                   settings and factories                                            RFC 3261 section 26
``tls_contexts``          OpenSSL's contexts, made from one state of the settings           RFC 9325
``tls_gate``              what OpenSSL asks on the way, and the gate before a flow          RFC 7301, RFC 6066
``tls_protocol``          the moving of bytes                                               RFC 8446
``resumption``            sessions for the next connection                                  RFC 8446 section 2.2
``server_names``          a certificate for each name                                       RFC 6066 section 3
``reload``                files that are read again
``expiry``                a word in time before something runs out
**Connections**
``stream``                SIP on a connection                                               RFC 3261 section 18
``stream_flow``           its flow: what waits to be written, within bounds
``half_open``             TCP notices that a peer has vanished                              RFC 5482
``liveness``              whether a request can have been read before a connection ended
``alias``                 the place of its own that a peer calls a connection by            RFC 5923
``authorization``         the application's word on a connection
``websocket``             SIP over WebSocket                                                RFC 7118
``websocket_frames``      its opening and its frames                                        RFC 6455
``browsers``              the way back to those without an address                          RFC 7118 section 5
**UDP**
``datagram``              SIP on UDP                                                        RFC 3581
``datagram_ports``        the ports of one side
``udp_port``              a port that hears what ICMP says                                  RFC 1122
``stun``                  STUN Binding                                                      RFC 8489
**Which connection**
``pool``                  the flows that are kept, and which of them may carry a request    RFC 5922, RFC 5923
``bundle``                the flows of one key, and whose turn it is
``dial``                  one connection being made, and who waits for it
``dialler``               the addresses of a server, raced                                  RFC 8305
``backoff``               how long a place is left alone                                    RFC 5626 section 4.5
``lease``                 who needs a connection to stay
**Where a name leads**
``resolve``               the interface of resolvers, and the two simple ones
``naming``                the one that asks DNS, and remembers
``locate``                the rules, with nothing but values                                RFC 3263 section 4
``dns_client``            one question to the name servers                                  RFC 1035, RFC 5452
``name_servers``          what this machine knows by itself
``records``               what DNS says, as values                                          RFC 2782, RFC 3403
``family``                IPv4 and IPv6                                                     RFC 6157, RFC 8305
``dead_targets``          servers that failed a short while ago                             RFC 3263 section 4.3
**Where to listen**
``descriptions``          what can be listened on, in one line of text
``description_text``      its quoting
``listening``             what a description becomes
``tls_listening``         the same with TLS
``listener_settings``     what one listener says for itself, and what its manager says
``inherited``             sockets from systemd
``proxied``               the PROXY header of a load balancer
**Too much**
``admission``             who may open a connection, how many, how fast
``overload``              three states, by figures                                          RFC 5390, RFC 6357
``restraint``             what peers have asked us to do less of                            RFC 7339
``shared_octets``         octets that all flows hold together
========================  ================================================================  ======================
"""
