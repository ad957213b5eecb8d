import java.io.BufferedReader;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.FileReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Scanner;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;

/** WaitClient PATH WAY...: see wait_client.py. */
class WaitClient {
	static Path path;

	static String text(byte[] bytes, int length) {
		return new String(bytes, 0, length, StandardCharsets.UTF_8);
	}

	static String text(ByteBuffer buffer) {
		return text(buffer.array(), buffer.position());
	}

	static String stream() throws IOException {
		byte[] bytes = new byte[64];
		try (FileInputStream in = new FileInputStream(path.toFile())) {
			return text(bytes, in.read(bytes));
		}
	}

	static String bytes() throws IOException {
		StringBuilder text = new StringBuilder();
		try (FileInputStream in = new FileInputStream(path.toFile())) {
			for (int c; (c = in.read()) >= 0;)
				text.append((char) c);
		}
		return text.toString();
	}

	static String newStream() throws IOException {
		try (InputStream in = Files.newInputStream(path)) {
			return new String(in.readAllBytes(), StandardCharsets.UTF_8);
		}
	}

	static String reader() throws IOException {
		try (BufferedReader in = new BufferedReader(new FileReader(path.toFile()))) {
			return in.readLine();
		}
	}

	static String scanner() throws IOException {
		try (Scanner in = new Scanner(path)) {
			return in.next();
		}
	}

	static String channel(boolean atZero) throws IOException {
		ByteBuffer buffer = ByteBuffer.allocate(64);
		try (FileChannel in = FileChannel.open(path)) {
			if (atZero)
				in.read(buffer, 0);
			else
				in.read(buffer);
		}
		return text(buffer);
	}

	/** Twice by one file: the end of the line, and from the beginning again. */
	static String randomAccess() throws IOException {
		try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "r")) {
			file.readLine();
			if (file.read() >= 0)
				return "more than one line";
			file.seek(0);
			return file.readLine();
		}
	}

	static String thread() throws Exception {
		var threads = Executors.newSingleThreadExecutor();
		try {
			return threads.submit(WaitClient::stream).get();
		} finally {
			threads.shutdown();
		}
	}

	/** Thread.interrupt() ends a wait. The other thread knows nothing of when it begins. */
	static String interrupted() throws Exception {
		String[] result = {""};
		Thread waiter = new Thread(() -> {
			try {
				result[0] = channel(false);
			} catch (ClosedByInterruptException e) {
				result[0] = "interrupted";
			} catch (IOException e) {
				result[0] = e.toString();
			}
		});
		waiter.start();
		while (waiter.isAlive() && System.in.available() == 0)
			Thread.sleep(1);
		waiter.interrupt();
		waiter.join();
		return result[0];
	}

	static String locked() throws IOException {
		try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
			String line = file.readLine();
			file.writeBytes("release\n");
			return line;
		}
	}

	static String hold() throws Exception {
		RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw");
		System.out.println("hold: " + file.readLine());
		while (true)
			Thread.sleep(1000000);
	}

	static String setStream(boolean append) throws IOException {
		try (FileOutputStream out = new FileOutputStream(path.toFile(), append)) {
			out.write("set\n".getBytes());
		}
		return "done";
	}

	static String setChannel() throws IOException {
		try (FileChannel out = FileChannel.open(path, StandardOpenOption.WRITE)) {
			return "" + out.write(ByteBuffer.wrap("set\n".getBytes()));
		}
	}

	static String setRandomAccess() throws IOException {
		try (RandomAccessFile out = new RandomAccessFile(path.toFile(), "rw")) {
			out.writeBytes("set\n");
		}
		return "done";
	}

	static String junk() {
		try {
			Files.writeString(path, "junk\n");
			return "no error";
		} catch (IOException e) {
			return e.getMessage();
		}
	}

	static Callable<String> way(String name) {
		return switch (name) {
		case "stream" -> WaitClient::stream;
		case "bytes" -> WaitClient::bytes;
		case "new_stream" -> WaitClient::newStream;
		case "read_string" -> () -> Files.readString(path);
		case "read_all_lines" -> () -> String.join("+", Files.readAllLines(path));
		case "lines" -> () -> Files.lines(path).findFirst().get();
		case "reader" -> WaitClient::reader;
		case "scanner" -> WaitClient::scanner;
		case "channel" -> () -> channel(false);
		case "channel_at" -> () -> channel(true);
		case "random_access" -> WaitClient::randomAccess;
		case "thread" -> WaitClient::thread;
		case "interrupted" -> WaitClient::interrupted;
		case "locked" -> WaitClient::locked;
		case "hold" -> WaitClient::hold;
		case "set_stream" -> () -> setStream(false);
		case "set_append" -> () -> setStream(true);
		case "set_channel" -> WaitClient::setChannel;
		case "set_random_access" -> WaitClient::setRandomAccess;
		case "set_write_string" -> () -> "" + Files.writeString(path, "set\n").getNameCount();
		case "junk" -> WaitClient::junk;
		default -> throw new IllegalArgumentException(name);
		};
	}

	public static void main(String[] args) throws Exception {
		path = Path.of(args[0]);
		for (int i = 1; i < args.length; i++)
			System.out.println(args[i] + ": " + way(args[i]).call().strip());
	}
}
