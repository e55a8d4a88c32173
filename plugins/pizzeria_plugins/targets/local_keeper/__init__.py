"""The keeper of a local deployment: a small process that holds its listening socket and looks after its service.

The socket lives as long as the deployment; services come and go on it. So a newer one starts while the present one
serves, and a connection that nobody has accepted yet waits for whichever service is there.

| module | what it is about |
|---|---|
| `deployment` | what is on disk, and the lock |
| `listener` | the socket: bound anew, or fetched back from a service whose keeper was killed |
| `asking` | how a command starts a keeper and talks to it |
| `service` | one service: started, ready, ended |
| `keeper` | the keeper itself; `python -m pizzeria_plugins.targets.local_keeper` runs it |
"""
