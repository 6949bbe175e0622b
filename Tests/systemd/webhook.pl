#!/usr/bin/perl
# webhook.pl PORT FILE: takes POSTs and appends a line each to FILE: key, status, alert ids.
use strict; use warnings; use IO::Socket::INET; use JSON::PP;
my ($port, $file) = @ARGV;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 64, ReuseAddr => 1) or die "cannot listen: $!";
$SIG{PIPE} = 'IGNORE';
while (my $client = $listener->accept) {
    my ($length, $key) = (0, '-');
    while (my $line = <$client>) {
        last if $line =~ /^\r?\n$/;
        $length = $1 if $line =~ /^content-length: *(\d+)/i;
        $key = $1 if $line =~ /^idempotency-key: *(\S+)/i;
    }
    my $body = '';
    read($client, $body, $length) if $length;
    my $document = eval { decode_json($body) };
    open(my $out, '>>', $file) or die;
    print $out join(' ', $key, $document ? $document->{status} : 'unreadable', map { $_->{labels}{alert_id} } @{$document ? $document->{alerts} : []}), "\n";
    close $out;
    print $client "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    close $client;
}
