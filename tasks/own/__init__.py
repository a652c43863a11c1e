"""Music that a user brings: found, understood and described as a task."""
