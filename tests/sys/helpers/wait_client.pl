# wait_client.pl PATH WAY...: see wait_client.py.
use strict;
use warnings;
use Errno qw(EAGAIN);
use Fcntl qw(O_RDONLY O_RDWR O_WRONLY O_NONBLOCK SEEK_SET);
use IO::Poll qw(POLLIN);
use IO::Select;

my ($path, @ways) = @ARGV;

sub opened {
	my ($flags) = @_;
	sysopen(my $file, $path, $flags) or die "$path: $!\n";
	return $file;
}

sub take {
	my ($file) = @_;
	defined(sysread($file, my $line, 64)) or die "$path: $!\n";
	return $line;
}

sub put {
	my ($mode) = @_;
	open(my $file, $mode, $path) or die "$path: $!\n";
	print $file "set\n";
	close($file) or die "$path: $!\n";
	return 'done';
}

my %ways = (
	readline => sub { open(my $file, '<', $path) or die $!; return scalar <$file> },
	slurp => sub { local (@ARGV, $/) = ($path); return <> },
	lines => sub { open(my $file, '<', $path) or die $!; return join '', <$file> },
	getc => sub {
		open(my $file, '<:unix', $path) or die $!;
		my $text = '';
		while (defined(my $c = getc $file)) { $text .= $c }
		return $text;
	},
	sysread => sub { return take(opened(O_RDONLY)) },
	seek_back => sub {
		my $file = opened(O_RDONLY);
		take($file);
		take($file) eq '' or die "more than one line\n";
		sysseek($file, 0, SEEK_SET);
		return take($file);
	},
	select => sub {
		my $file = opened(O_RDONLY);
		my $bits = '';
		vec($bits, fileno($file), 1) = 1;
		select(my $ready = $bits, undef, undef, undef) == 1 or die $!;
		return take($file);
	},
	io_select => sub {
		my $file = opened(O_RDONLY | O_NONBLOCK);
		my $line;
		until (defined(sysread($file, $line, 64))) {
			die "$!\n" unless $! == EAGAIN;
			IO::Select->new($file)->can_read;
		}
		return $line;
	},
	io_poll => sub {
		my $file = opened(O_RDONLY);
		my $poll = IO::Poll->new;
		$poll->mask($file => POLLIN);
		$poll->poll;
		die unless $poll->events($file) & POLLIN;
		return take($file);
	},
	backticks => sub { return `cat '$path'` },
	hold => sub {
		my $file = opened(O_RDWR);
		print 'hold: ', take($file);
		sleep 1000 while 1;
	},
	locked => sub {
		my $file = opened(O_RDWR);
		my $line = take($file);
		defined(syswrite($file, "release\n")) or die "$path: $!\n";
		return $line;
	},
	set_print => sub { return put('>') },
	set_append => sub { return put('>>') },
	set_both => sub { return put('+<') },
	set_syswrite => sub {
		my $file = opened(O_WRONLY);
		return syswrite($file, "set\n");
	},
	junk => sub { return defined(syswrite(opened(O_WRONLY), "junk\n")) ? 'no error' : "$!" },
);

$| = 1;
for my $way (@ways) {
	my $result = $ways{$way}->();
	chomp $result;
	print "$way: $result\n";
}
