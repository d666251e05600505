package turbinehealth

import java.io.{BufferedOutputStream, File}
import java.net.URI
import java.nio.file.{FileAlreadyExistsException => TakenName, FileSystemException, Files}
import java.nio.file.StandardOpenOption.{CREATE, CREATE_NEW, TRUNCATE_EXISTING, WRITE}
import java.nio.file.attribute.PosixFilePermissions
import java.util.EnumSet

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{CreateFlag, DelegateToFileSystem, FileAlreadyExistsException, FileStatus, FSDataOutputStream}
import org.apache.hadoop.fs.{Path, RawLocalFileSystem}
import org.apache.hadoop.fs.Options.ChecksumOpt
import org.apache.hadoop.fs.permission.FsPermission
import org.apache.hadoop.util.Progressable

/**
 * Local disk, where Delta writes commits and Spark writes checkpoints: beside the place, then renamed.
 *
 * Hadoop's own looks whether the name is free and then renames over it, and starts ten processes (`chmod`, `readlink`)
 * for each file. Here the disk itself refuses a name that is taken, whoever else writes at that moment, and no process
 * is started. What is rare is left to Hadoop: folders, links, a disk that knows no hard links.
 */
class LocalFiles(uri: URI, conf: Configuration) extends DelegateToFileSystem(uri, new RawLocalFileSystem, conf, "file", false) {

  override def getUriDefaultPort: Int = -1

  override def isValidName(name: String): Boolean = true

  override def createInternal(
      path: Path, flags: EnumSet[CreateFlag], permission: FsPermission, bufferSize: Int, replication: Short, blockSize: Long,
      progress: Progressable, checksums: ChecksumOpt, createParent: Boolean): FSDataOutputStream =
    if (flags.contains(CreateFlag.APPEND) || !Files.isDirectory(local(path).getParent))
      super.createInternal(path, flags, permission, bufferSize, replication, blockSize, progress, checksums, createParent)
    else {
      val how = if (flags.contains(CreateFlag.OVERWRITE)) Seq(CREATE, TRUNCATE_EXISTING, WRITE) else Seq(CREATE_NEW, WRITE)
      val stream = orTaken(path)(Files.newOutputStream(local(path), how: _*))
      Files.setPosixFilePermissions(local(path), PosixFilePermissions.fromString(new FsPermission(permission).toString))
      new FSDataOutputStream(new BufferedOutputStream(stream), null)
    }

  override def getFileLinkStatus(path: Path): FileStatus =
    if (Files.isSymbolicLink(local(path))) super.getFileLinkStatus(path) else getFileStatus(path)

  override def renameInternal(from: Path, to: Path, overwrite: Boolean): Unit =
    if (overwrite || !Files.isRegularFile(local(from))) super.renameInternal(from, to, overwrite)
    else {
      // Hadoop's check sum of a file that was there before would refuse this one.
      Files.deleteIfExists(local(new Path(to.getParent, s".${to.getName}.crc")))
      try orTaken(to)(Files.createLink(local(to), local(from)))
      catch {
        case _: FileSystemException | _: UnsupportedOperationException => super.renameInternal(from, to, overwrite)
      }
      Files.deleteIfExists(local(from))
    }

  /** What Delta and Spark know a taken name by. */
  private def orTaken[T](path: Path)(work: => T): T =
    try work
    catch { case _: TakenName => throw new FileAlreadyExistsException(s"$path is there already") }

  private def local(path: Path): java.nio.file.Path = new File(path.toUri.getPath).toPath
}
