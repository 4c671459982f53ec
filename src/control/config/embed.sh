#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Prints a text file as C string literals, a line each.
exec sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n"/' "$1"
