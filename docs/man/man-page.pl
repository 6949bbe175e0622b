#!/usr/bin/perl
# man-page.pl SECTION < dump.json > page: a man page from what `PROGRAM --experimental-dump-help` says, so that options are
# written once. Needs Perl's own JSON::PP.
use strict;
use warnings;
use JSON::PP;
binmode STDOUT, ':encoding(UTF-8)';

my ($section) = @ARGV;
local $/;
my $tool = decode_json(<STDIN>)->{command};
my $name = $tool->{commandName};
my %see  = (
    'rnn-watchd' => ['rnnctl (1)', 'rnn-watchd.toml (5)', 'systemd.exec (5)', 'journalctl (1)'],
    'rnnctl'     => ['rnn-watchd (8)', 'rnn-watchd.toml (5)'],
);
my %files = (
    'rnn-watchd' => [
        ['/etc/rnn-watchd/rnn-watchd.toml', 'Configuration, see rnn-watchd.toml(5).'],
        ['/run/rnn-watchd/ingest.sock',     'Stream socket that takes lines.'],
        ['/run/rnn-watchd/ingest.dgram',    'Datagram socket that takes lines.'],
        ['/run/rnn-watchd/control.sock',    'Where rnnctl(1) asks.'],
        ['/var/lib/rnn-watchd',             'State: one SQLite database.'],
    ],
    'rnnctl' => [['/run/rnn-watchd/control.sock', 'Where the daemon answers.']],
);

# Text with what roff would take for its own made literal.
sub plain {
    my ($text) = @_;
    $text =~ s/\\/\\e/g;
    $text =~ s/-/\\-/g;
    $text =~ s/'/\\(aq/g;
    $text =~ s/`([^`]*)`/\\fB$1\\fR/g;
    $text =~ s/^\./\\&./mg;
    return $text;
}

# Paragraphs; indented lines are kept as they are.
sub prose {
    my ($text) = @_;
    my $kept = 0;
    for my $line (split /\n/, $text) {
        if ($line =~ /^\s+\S/) {
            print ".PP\n.nf\n.RS 4\n" unless $kept++;
            $line =~ s/^\s+//;
            print plain($line), "\n";
            next;
        }
        print ".RE\n.fi\n" if $kept;
        $kept = 0;
        if    ($line =~ /^\s*$/)          { print ".PP\n" }
        elsif ($line =~ /^[A-Z][A-Z ]+$/) { print ".PP\n\\fB", ucfirst lc $line, "\\fR\n" }
        else                              { print plain($line), "\n" }
    }
    print ".RE\n.fi\n" if $kept;
}

sub spelling {
    my ($item) = @_;
    return ($item->{kind} eq 'short' ? '-' : $item->{kind} eq 'longWithSingleDash' ? '-' : '--') . $item->{name};
}

sub shown { grep { $_->{shouldDisplay} && ($_->{valueName} // '') ne 'help' && ($_->{valueName} // '') ne 'version' } @{$_[0]->{arguments} // []} }

sub synopsis {
    my ($command, @path) = @_;
    print ".B ", plain(join ' ', @path), "\n";
    for my $item (shown($command)) {
        my $text = $item->{kind} eq 'positional' ? '\fI' . plain($item->{valueName}) . '\fR'
            : '\fB' . plain(spelling($item->{preferredName})) . '\fR'
            . ($item->{kind} eq 'option' ? ' \fI' . plain($item->{valueName}) . '\fR' : '');
        $text = "[$text]" if $item->{isOptional};
        $text .= '...' if $item->{isRepeating};
        print "$text\n";
    }
}

sub arguments {
    my ($command) = @_;
    for my $item (shown($command)) {
        print ".TP\n";
        if ($item->{kind} eq 'positional') {
            print '\fI', plain($item->{valueName}), "\\fR\n";
        } else {
            print join(', ', map { '\fB' . plain(spelling($_)) . '\fR' } @{$item->{names}}),
                ($item->{kind} eq 'option' ? ' \fI' . plain($item->{valueName}) . '\fR' : ''), "\n";
        }
        print plain($item->{abstract} // ''), "\n" if $item->{abstract};
        print "Default: ", plain($item->{defaultValue}), ".\n" if defined $item->{defaultValue} && length $item->{defaultValue};
    }
}

sub subcommand {
    my ($command, @path) = @_;
    return if $command->{commandName} eq 'help' || !($command->{shouldDisplay} // 1);
    my @below = @{$command->{subcommands} // []};
    if (!grep { $_->{commandName} ne 'help' } @below) {
        print ".SS \"", plain(join ' ', @path), "\"\n", plain($command->{abstract} // ''), "\n.PP\n";
        synopsis($command, @path);
        print ".PP\n";
        prose($command->{discussion}) if $command->{discussion};
        arguments($command);
    }
    subcommand($_, @path, $_->{commandName}) for @below;
}

my $upper = plain(uc $name);
(my $abstract = $tool->{abstract} // '') =~ s/\.$//;
print ".\\\" Made by docs/man/man-page.pl from $name --experimental-dump-help.\n";
print ".TH $upper $section \"\" \"rnn\\-watchd\" \"", ($section == 8 ? 'System administration' : 'User commands'), "\"\n";
print ".SH NAME\n", plain($name), " \\- ", plain(lcfirst $abstract), "\n";
print ".SH SYNOPSIS\n";
my @below = grep { $_->{commandName} ne 'help' } @{$tool->{subcommands} // []};
if (@below) { print ".B ", plain($name), "\n.I subcommand\n[\\fIoptions\\fR]\n" }
else        { synopsis($tool, $name) }
print ".SH DESCRIPTION\n";
prose($tool->{discussion} // $abstract);
if (my @own = shown($tool)) { print ".SH OPTIONS\n"; arguments($tool) }
if (@below) { print ".SH SUBCOMMANDS\n"; subcommand($_, $name, $_->{commandName}) for @below }
print ".SH FILES\n";
print ".TP\n.I ", plain($_->[0]), "\n", plain($_->[1]), "\n" for @{$files{$name} // []};
print ".SH SEE ALSO\n", join(",\n", map { ".BR " . plain($_) } @{$see{$name} // []}) =~ s/,\n/,\n/gr, "\n";
