"""The service as a process among others: its log, its signals, its supervisor, and several of them on one port.

==================  ====================================================================================================
module              what
==================  ====================================================================================================
``log_format``      each line of the log as JSON
``logs``            a log file that can be opened anew and outlives a full disk
``shared_sockets``  what several workers listen on, together and each alone
``signals``         SIGHUP reads files anew; a second SIGTERM ends a stop at once
``state``           what is kept between two runs: the instance id
``supervision``     a supervisor is told how we are: systemd, or the parent of workers
``worker``          one of several: what its parent says to it, and what it says back
``workers``         the parent of workers: it starts them, starts the dead anew, and passes on what it is told
==================  ====================================================================================================
"""
