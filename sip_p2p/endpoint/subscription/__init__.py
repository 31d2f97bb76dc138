"""Events between parties: what peers subscribed to here, and what we subscribed to there (RFC 6665).

============  =====================================================================  ==================================
module        what                                                                   standard
============  =====================================================================  ==================================
``package``   what an application derives its events from, and its verdicts          RFC 6665 section 5
``server``    one subscription of a peer's, as an application sees it                RFC 6665 section 4.2
``registry``  the event packages of a party, and the SUBSCRIBEs that come for them   RFC 6665 sections 4.2.1 and 8.3.2
``crowd``     all subscribers of one connection manager, told in rounds              faults K8 and D6
============  =====================================================================  ==================================
"""
