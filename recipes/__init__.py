"""MaxRL in the engines that train real models: README.md beside this file."""
