"""The texts that the target `vm` leaves on the machine; every one is safe for all values that the options accept."""
