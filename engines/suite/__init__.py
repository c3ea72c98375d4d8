"""The multi-domain suite: 21 tasks in their public formats, a made stand-in for each, and graders without holes."""
