"""The parts of the trial `flips`: what is damaged, how, who takes it up, and commands on what was damaged."""
