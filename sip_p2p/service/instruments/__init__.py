"""What looks at the wire while a service runs, and where it sends what it sees.

===============  =======================================================================================================
module           what
===============  =======================================================================================================
``exports``      captures, a Homer server and the keys of TLS, while the service runs
``hep_sender``   brings messages to a Homer server
``instruments``  what looks at the wire: the recorder, the transactions, the figures
===============  =======================================================================================================
"""
