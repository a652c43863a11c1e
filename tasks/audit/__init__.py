"""What the published splits and files hide: leaks, copies, labels like another, damaged audio."""
