# SPDX-License-Identifier: Apache-2.0
# Writes each block of a page that stands below <!-- file: NAME --> to dir/NAME.
/^<!-- file: [A-Za-z0-9_.]+ -->$/ { name = $3; next }
/^```/ && name != "" && !open { open = 1; printf "" > (dir "/" name); next }
/^```$/ && open { close(dir "/" name); open = 0; name = ""; next }
open { print > (dir "/" name) }
