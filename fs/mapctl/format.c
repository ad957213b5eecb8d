#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int unit_shift(const char *unit)
{
	static const char letters[] = "kmgt";
	const char *at;

	if (!*unit)
		return 0;
	at = strchr(letters, tolower((unsigned char)*unit));
	if (!at || (unit[1] && strcasecmp(unit + 1, "ib") != 0))
		return -1;
	return 10 * (int)(at - letters + 1);
}

int parse_size(const char *text, uint64_t *out)
{
	bool is_negative = *text == '-';
	unsigned long long number;
	char *end;
	int shift;

	if (!isdigit((unsigned char)text[is_negative]))
		return -EINVAL;
	errno = 0;
	number = strtoull(text + is_negative, &end, 10);
	shift = unit_shift(end);
	if (shift < 0)
		return -EINVAL;
	if (is_negative || errno == ERANGE || number > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*out = (uint64_t)number << shift;
	return 0;
}

int parse_duration(const char *text, int64_t *ns)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"m", 60e9}, {"h", 3600e9}};
	const size_t digits = strspn(text, "0123456789.");
	double number;
	char *end;

	if (!isdigit((unsigned char)*text) && !(*text == '.' && isdigit((unsigned char)text[1])))
		return -EINVAL;
	number = strtod(text, &end); /* the locale of numbers is C's */
	if ((size_t)(end - text) != digits)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(end, units[i].name) != 0)
			continue;
		if (number * units[i].ns >= 9e18)
			return -EINVAL;
		*ns = (int64_t)(number * units[i].ns);
		return 0;
	}
	return -EINVAL;
}

const char *format_size(int64_t bytes, char *out)
{
	static const char units[] = "BKMGTPE";
	double value = (double)bytes;
	int unit = 0;

	if (bytes < 0)
		return "-";
	for (; value >= 1024 && units[unit + 1]; unit++)
		value /= 1024;
	if (unit == 0)
		snprintf(out, FORMAT_ROOM, "%lld", (long long)bytes);
	else
		snprintf(out, FORMAT_ROOM, value == (double)(int64_t)value ? "%.0f%c" : "%.1f%c",
			 value, units[unit]);
	return out;
}

const char *format_number(int64_t number, char *out)
{
	if (number < 0)
		return "-";
	snprintf(out, FORMAT_ROOM, "%lld", (long long)number);
	return out;
}

const char *format_time(int64_t seconds, char *out)
{
	time_t when = (time_t)seconds;
	struct tm tm;

	if (!localtime_r(&when, &tm) || !strftime(out, FORMAT_ROOM, "%Y-%m-%d %H:%M:%S", &tm))
		return "-";
	return out;
}

char *printable(const char *text)
{
	char *out = malloc(strlen(text) * 4 + 1), *at = out;

	for (; out && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			at += sprintf(at, "\\%03o", c);
		else
			*at++ = *text;
	}
	if (out)
		*at = '\0';
	return out;
}

/* Length of the UTF-8 sequence at text, 0 if it is none; as jansson decides. */
static size_t sequence(const unsigned char *text)
{
	for (size_t length = 1; length <= 4; length++) {
		json_t *json = json_stringn((const char *)text, length);

		json_decref(json);
		if (json)
			return length;
		if (!text[length])
			break;
	}
	return 0;
}

json_t *text_json(const char *text)
{
	json_t *json = json_string(text);
	AUTO_FREE char *clean = NULL;
	char *at;

	if (json)
		return json;
	at = clean = malloc(strlen(text) * 3 + 1);
	if (!clean)
		return NULL;
	while (*text) {
		size_t length = sequence((const unsigned char *)text);

		memcpy(at, length ? text : "\xef\xbf\xbd", length ? length : 3);
		at += length ? length : 3;
		text += length ? length : 1;
	}
	*at = '\0';
	return json_string(clean);
}

int print_json(json_t *json)
{
	int rc = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	if (rc) {
		fprintf(stderr, "mapctl: the answer cannot be written as JSON\n");
		return EXIT_FAILED;
	}
	putchar('\n');
	return EXIT_OK;
}
