# share.pl FILE: see share.c.
use strict;
use warnings;
use File::Map qw(map_handle);

open(my $file, '+<:raw', $ARGV[0]) or die "$ARGV[0]: $!\n";
map_handle(my $view, $file, '+<');
$| = 1;
print "ready\n";
while (<STDIN>) {
	my ($word, $offset, $value) = split;
	if ($word eq 'put') {
		substr($view, $offset, 8) = pack('Q<', $value);
		print "ok\n";
	} elsif ($word eq 'get') {
		print unpack('Q<', substr($view, $offset, 8)), "\n";
	} elsif ($word eq 'close') {
		close($file);
		print "ok\n";
	} else {
		print "what is $word\n";
	}
}
