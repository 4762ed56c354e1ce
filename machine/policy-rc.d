#!/bin/sh
# dpkg asks before it starts or stops a unit (invoke-rc.d(8)): 101 forbids it, 104 allows it. After an upgrade of nginx, its
# packages restart it, which refuses connections for seconds, and have it replace itself, which does not.
case "$*" in
*nginx*restart*) exit 101 ;;
esac
exit 104
