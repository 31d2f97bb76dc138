"""Events between parties: what peers subscribed to here, and what we subscribed to there (RFC 6665).

================  =================================================================  ==================================
module            what                                                               standard
================  =================================================================  ==================================
``subscription``  one subscription of ours: states, refresh, retry, iteration        RFC 6665 section 4.1
``subscribing``   subscribing, and asking for a state once                           RFC 6665 sections 4.1.2 and 4.4.3
``arguments``     what may be said of a subscription, and so in its SUBSCRIBEs       RFC 6665 section 4.1.2, RFC 6446
``states``        the states of a subscription of ours
``notification``  what a NOTIFY says, and how its body is read                       RFC 6665 section 4.1.3
``arrivals``      notifications that wait for the application
``outcomes``      what an application gets to know of an outcome, or of an end
``package``       what an application derives its events from, and its verdicts      RFC 6665 section 5
``server``        one subscription of a peer's, as an application sees it            RFC 6665 section 4.2
``registry``      the event packages of a party, and their SUBSCRIBEs                RFC 6665 sections 4.2.1 and 8.3.2
``crowd``         all subscribers of one connection manager, told in rounds          faults K8 and D6
================  =================================================================  ==================================
"""
