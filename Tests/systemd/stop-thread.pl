#!/usr/bin/perl
# stop-thread.pl PID NAME: holds one thread of a process (as a debugger would) until the process ends.
use strict;
use warnings;
my ($pid, $name) = @ARGV;
my ($seize, $interrupt, $ptrace) = (0x4206, 0x4207, `uname -m` =~ /x86_64/ ? 101 : 117);
for my $task (glob "/proc/$pid/task/*") {
    open my $file, '<', "$task/comm" or next;
    chomp(my $comm = <$file>);
    next unless $comm eq $name;
    my ($thread) = $task =~ m{(\d+)$};
    syscall($ptrace, $seize, $thread + 0, 0, 0) == 0 or die "cannot seize $name: $!\n";
    syscall($ptrace, $interrupt, $thread + 0, 0, 0) == 0 or die "cannot stop $name: $!\n";
    print "holding $name\n";
    # __WALL: threads too. The stop itself is the first report, its end the last.
    while (waitpid($thread, 0x40000000) > 0) { last if (${^CHILD_ERROR_NATIVE} & 0x7f) != 0x7f }
    exit 0;
}
die "no thread $name in $pid\n";
