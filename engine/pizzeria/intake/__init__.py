"""What becomes of what sources bring: classes are renamed, sources joined, photos looked at, faults repaired."""
