import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.rocketmq.tools.command.MQAdminStartup;

/**
 * The real mqadmin, many commands in one process, one after the other: a line `id admin word …` in,
 * what the command printed as one JSON line out.
 */
public final class AdminDriver {
  private AdminDriver() {}

  public static void main(String[] args) throws Exception {
    PrintStream out = System.out;
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.trim().split(" ");
      ByteArrayOutputStream printed = new ByteArrayOutputStream();
      System.setOut(new PrintStream(printed, true, StandardCharsets.UTF_8));
      PrintStream err = System.err;
      System.setErr(System.out);
      try {
        MQAdminStartup.main0(Arrays.copyOfRange(words, 2, words.length), null);
      } catch (Throwable error) {
        error.printStackTrace(System.out);
      }
      System.setErr(err);
      String output = printed.toString(StandardCharsets.UTF_8);
      out.println("{\"id\":\"" + words[0] + "\",\"output\":" + quoted(output) + "}");
    }
    Runtime.getRuntime().halt(0);
  }

  private static String quoted(String text) {
    StringBuilder json = new StringBuilder("\"");
    for (char letter : text.toCharArray()) {
      if (letter == '"' || letter == '\\') json.append('\\').append(letter);
      else if (letter < ' ') json.append(String.format("\\u%04x", (int) letter));
      else json.append(letter);
    }
    return json.append('"').toString();
  }
}
