import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** Share FILE: see share.c. */
class Share {
	public static void main(String[] args) throws Exception {
		FileChannel file = FileChannel.open(Path.of(args[0]), StandardOpenOption.READ,
				StandardOpenOption.WRITE);
		MappedByteBuffer view = file.map(FileChannel.MapMode.READ_WRITE, 0, file.size());
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		view.order(ByteOrder.LITTLE_ENDIAN);
		System.out.println("ready");
		for (String line; (line = in.readLine()) != null;) {
			String[] words = line.split(" ");
			switch (words[0]) {
			case "put" -> {
				view.putLong(Integer.parseInt(words[1]), Long.parseLong(words[2]));
				System.out.println("ok");
			}
			case "get" -> System.out.println(view.getLong(Integer.parseInt(words[1])));
			case "close" -> {
				file.close();
				System.out.println("ok");
			}
			default -> System.out.println("what is " + line);
			}
		}
	}
}
