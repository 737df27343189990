"""Pictures with what is known about them: readers, and the generated menagerie."""
