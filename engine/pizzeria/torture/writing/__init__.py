"""What the trial `writes` is made of.

operation     one small thing that is written, and how its content is read
records       prediction logs: records, labels and pruning
files         bundle, pages, packs, what was fetched
states        store, ledger, history of monitoring
training      a training with its checkpoints
work          the process that does one of them, and may be cut off at any system call
faults        system calls as strace tells them, and the faults that it injects
order         whether what was written is on disk before it gets its name
"""
