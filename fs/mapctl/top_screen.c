#include "fs/mapctl/top_screen.h"

#include "core/util.h"
#include "fs/mapctl/output.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>

/* One terminal a process: its state must be within reach of signals. */
static struct {
	bool shown;
	bool keys; /* standard input is a terminal, and set to single keys */
	struct termios before;
} screen;
static volatile sig_atomic_t resized;

static void say(const char *bytes)
{
	if (write(STDOUT_FILENO, bytes, strlen(bytes)) < 0)
		return; /* it is seen soon enough */
}

static void enter(void)
{
	struct termios now;

	say("\033[?1049h\033[?25l\033[H\033[2J"); /* other buffer, no cursor, empty */
	if (!screen.keys)
		return;
	now = screen.before;
	now.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

static void leave(void)
{
	if (screen.keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &screen.before);
	say("\033[?25h\033[?1049l");
}

static void on_end(int signal_number)
{
	(void)signal_number;
	leave();
	_exit(EXIT_OK);
}

static void on_resize(int signal_number)
{
	(void)signal_number;
	resized = true;
}

static void on_stop(int signal_number)
{
	const int saved = errno;

	leave();
	signal(signal_number, SIG_DFL);
	raise(signal_number);
	signal(signal_number, on_stop); /* goes on here */
	enter();
	resized = true;
	errno = saved;
}

static void catch_signal(int number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};

	sigaction(number, &action, NULL);
}

bool screen_begin(void)
{
	if (!isatty(STDOUT_FILENO))
		return false;
	screen.keys = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &screen.before) == 0;
	screen.shown = true;
	enter();
	catch_signal(SIGINT, on_end);
	catch_signal(SIGTERM, on_end);
	catch_signal(SIGHUP, on_end);
	catch_signal(SIGQUIT, on_end);
	catch_signal(SIGTSTP, on_stop);
	catch_signal(SIGWINCH, on_resize);
	return true;
}

void screen_end(void)
{
	if (screen.shown)
		leave();
	screen.shown = false;
}

void screen_size(unsigned *width, unsigned *height)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row)
		size = (struct winsize){.ws_col = 80, .ws_row = 24};
	*width = size.ws_col;
	*height = size.ws_row;
}

static bool is_last_key(void)
{
	char key;
	ssize_t got = read(STDIN_FILENO, &key, 1);

	if (got == 0)
		screen.keys = false; /* hung up; signals tell the rest */
	return got == 1 && (key == 'q' || key == 'Q');
}

enum screen_event screen_wait(uint64_t deadline)
{
	struct pollfd fds[] = {{.fd = STDOUT_FILENO}, {.events = POLLIN}};
	uint64_t now;

	while ((now = clock_ns(CLOCK_MONOTONIC)) < deadline) {
		const uint64_t ms = (deadline - now + 999999) / 1000000;

		fds[1].fd = screen.keys ? STDIN_FILENO : -1;
		if (poll(fds, ARRAY_SIZE(fds), ms > 60000 ? 60000 : (int)ms) < 0)
			fds[0].revents = fds[1].revents = 0;
		if (output_is_over(fds[0].revents) || (fds[1].revents && is_last_key()))
			return SCREEN_END;
		if (resized) {
			resized = false;
			return SCREEN_RESIZED;
		}
	}
	return SCREEN_TIME;
}
