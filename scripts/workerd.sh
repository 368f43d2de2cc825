#!/bin/sh
# Runs workerd so that it never outlives `npm start`: after a server was killed, its port and its data must be free.
# The process id is written to a file, because a clean stop asks workerd to finish its running requests.
# Ctrl-C sends a signal to every process of a terminal. workerd ignores the signal, because npm start stops workerd.
trap "" INT HUP
# Leaves rseq to workerd's allocator. The allocator then keeps free memory per processor and not per thread: 40 MB less
# (https://github.com/google/tcmalloc/blob/master/docs/rseq.md).
export GLIBC_TUNABLES="${GLIBC_TUNABLES:+$GLIBC_TUNABLES:}glibc.pthread.rseq=0"
parent=$PPID
echo $$ > "$SLUICE_PID_FILE"
if command -v setpriv > /dev/null 2>&1 && setpriv --pdeathsig KILL true 2> /dev/null; then
  exec setpriv --pdeathsig KILL "$SLUICE_WORKERD" "$@"
fi
(while kill -0 "$parent" 2> /dev/null; do sleep 0.5; done; kill -9 $$) < /dev/null > /dev/null 2>&1 3>&- &
exec "$SLUICE_WORKERD" "$@"
