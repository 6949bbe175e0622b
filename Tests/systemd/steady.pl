#!/usr/bin/perl
# steady.pl NAME SECONDS [PIECE]: one connection (or datagrams: NAME begins with "datagram"), about 20,000 lines a second, written
# in pieces that end in the middle of lines. Prints the number of lines.
use strict;
use warnings;
use Socket;
use Time::HiRes qw(time sleep);
my ($name, $seconds, $piece) = (@ARGV, 977);
my $datagram = $name =~ /^datagram/;
socket(my $socket, AF_UNIX, $datagram ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!\n";
connect($socket, pack_sockaddr_un('/run/rnn-watchd/ingest.' . ($datagram ? 'dgram' : 'sock'))) or die "connect: $!\n";
my ($sent, $buffer, $start) = (0, '', time);
my $stamp = int($start * 1000) * 1_000_000;
sub out {
    my ($bytes) = @_;
    while (length $bytes) {
        my $count = syswrite($socket, $bytes);
        die "write after $sent lines: $!\n" unless defined $count;
        substr($bytes, 0, $count, '');
    }
}
while (time - $start < $seconds) {
    for (1 .. 200) {
        $stamp += 1000;
        my $line = "$name value=" . ($sent % 100) . " $stamp\n";
        $sent++;
        if ($datagram) { out($line) } else { $buffer .= $line }
    }
    while (length $buffer >= $piece) { out(substr $buffer, 0, $piece, '') }
    sleep 0.01;
}
out($buffer);
print "$sent\n";
