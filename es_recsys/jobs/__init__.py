"""The long-running work of a store besides training: each module is one job, run by a client method or a command.

Items and events are loaded, deleted and erased; versions are rebuilt, swapped and dropped; files of requests are answered;
models are evaluated on held-out events or on the answer log, and reported. A job takes a `Workspace` (the open store) and plain
values, uses sources, index, serving, evaluation and training, and returns a report or raises a RecsysError. Only the client and
the command line import from here.
"""
